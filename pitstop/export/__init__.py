"""What `pitstop export` is made of. Only job.py, wish.py and signature_flags.py import no torch."""
