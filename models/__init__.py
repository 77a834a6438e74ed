"""Models, with torch and without Ray: source, prepare, backends, runner, proof. Imports nothing heavy."""
