"""Which files of which packages an image or a process gets; knows neither images nor cells."""
