"""Looking after a store: what is damaged, what nobody needs, what takes the room, copies."""
