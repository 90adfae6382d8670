"""The engine: grids, blocks, nodes, the optimizer, plans and how they become dask graphs.

Read in this order: grid, block, node, sweep, optimize, plan, lower. Nothing here knows an operation or a file format.
"""
