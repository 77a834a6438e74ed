def columns():
    """Give the label of each row a column of its own, as Triton's outputs have one."""

    def run(rows):
        return {"probabilities": rows["output0"], "label": rows["output1"][:, None]}

    return run
