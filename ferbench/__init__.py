"""ferbench: classical and deep facial-expression recognition, side by side, under one protocol."""
