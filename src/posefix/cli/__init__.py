"""The command line: arguments in, one call, what it returned on the screen."""
