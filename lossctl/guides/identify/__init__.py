"""Finding out what a reported number is: losses, parameters and reductions are tried until they give it.

`reported` is the number, `grids` the parameters, `readings` the ways to see the inputs, `passes` the one pass over the data,
`reductions` what is made of sums, and `ranking` which of it agrees.
"""
