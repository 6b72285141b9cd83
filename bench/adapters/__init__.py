"""The servers that can be measured, one file each; see `port` for what an adapter is."""
