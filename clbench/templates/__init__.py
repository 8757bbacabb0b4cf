"""What `clbench new` copies: a strategy and a scenario that keep the contract."""
