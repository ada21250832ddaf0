"""What was asked for: from the words of the command line or a spec file to losses, inputs and options."""
