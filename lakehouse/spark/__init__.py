"""Settings -> the Spark session that the steps run on; with its jars, its JDK, and the meaning of its errors."""
