"""What runs inside an agent process: decorators, the replaying run, the client of the server's socket."""
