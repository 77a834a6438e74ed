"""The colours of every page and every plot."""

INK, PALE, RULE = "#1c2530", "#6b7685", "#e3e7ec"
GREEN, BLUE, RED, AMBER, GREY = "#1f7a5c", "#3b6ea8", "#c4533a", "#9a6a00", "#b9c3cf"

# As the pages' stylesheet names them.
STYLE = {"ink": INK, "pale": PALE, "rule": RULE, "green": GREEN, "blue": BLUE, "red": RED, "amber": AMBER}
