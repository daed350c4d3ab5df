"""Which requests are let in: keys, hosts, origins and the number at once."""
