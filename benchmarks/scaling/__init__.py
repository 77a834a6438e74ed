"""How far this goes: the planner's arithmetic for many GPUs, and which part gives out first: docs/scaling.md."""
