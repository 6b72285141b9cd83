"""What other programs need to be measured beside ours."""
