"""Finding out what a reported number is: losses, parameters and reductions are tried until they give it.

`grids` has the parameters, `passes` the ways to see the inputs and the one pass over the data, `ranking` what is made of sums
and which of it agrees, and `job` tries everything.
"""
