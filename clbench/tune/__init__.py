"""Settings of a strategy, searched on held-out training data alone.

`search` reads what is asked, `axes` where to look, `study` asks Optuna what to try next
and is told what came out, `trials` runs what is tried, `document` writes the winner
where the next run finds it, `report` says and draws what was found.
"""
