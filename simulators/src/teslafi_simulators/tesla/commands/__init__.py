"""What cars do when told: one table of commands, reached by REST and by Tesla's Vehicle Command Protocol."""
