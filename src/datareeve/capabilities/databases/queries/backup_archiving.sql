-- Whether the server archives its WAL, and by this very command.
SELECT current_setting('archive_mode') <> 'off' AND current_setting('archive_command') = %(command)s
