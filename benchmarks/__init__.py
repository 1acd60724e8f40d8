"""What is measured about the project, by commands that anybody can repeat."""
