"""One network per file. Drop your own beside them and name it in the YAML: `models.zoo.yours:Net`."""
