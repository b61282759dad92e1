"""What a run leaves: its folder and its record of events. Nothing here unpickles anything."""
