"""Stop anywhere, go on exactly there.

A checkpoint is one safetensors file, plain values in its header, with a hash over all
of it; nothing in it is code. What a cell is between two steps is gathered by `state`
and `weights`, made JSON and tensors by `codec`, put into a file by `file`, of which
`store` keeps two beside the record; `identity` says what they belong to, and `pace`
when it is time.
"""
