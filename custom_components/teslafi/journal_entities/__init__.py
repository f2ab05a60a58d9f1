"""What Home Assistant shows of the journal: sensors, events, calendars, actions, statistics, tools for assistants."""
