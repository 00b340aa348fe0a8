"""`lightskip compare`: join label maps with their references, check their grids, measure them, write the numbers."""
