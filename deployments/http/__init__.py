"""The Open Inference Protocol over HTTP, /predict, and the short path."""
