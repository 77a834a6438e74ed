"""A request, its result and its errors, and the model as every transport sees it. No transport here."""
