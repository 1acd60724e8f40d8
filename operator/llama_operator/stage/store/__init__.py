"""A volume that pods share: published files and links, locks, and who was promised how much room."""
