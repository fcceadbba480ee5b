"""What follows from what happened: the pure engine of ringfence, with no bus, clock or chance."""
