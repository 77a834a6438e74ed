"""What `pitstop export` is made of. Only job.py, options.py and signature_flags.py import no torch."""
