"""The methods of a Builder, by what they describe."""
