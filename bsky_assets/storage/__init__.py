"""Where rows rest: stream segments, immutable partitions, and a catalogue of views over them."""
