"""The console: widgets render immutable snapshots; no query and no change of state in a widget."""
