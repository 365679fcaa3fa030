"""Models that put texts and images into one space, as two ONNX towers: table.py reads the folder, model.py runs it."""
