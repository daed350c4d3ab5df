"""Making quantised models, and measuring what they lost: above models and text, below the command line."""
