"""`python -m clbench` and `accelerate launch -m clbench`."""

from clbench.cli import main

if __name__ == "__main__":
    main()
