"""What the house says about itself while it runs: metrics.py for numbers, traces.py for what led to what."""
