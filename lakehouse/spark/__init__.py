"""Settings -> the Spark session that the steps run on, with its jars, its JDK, and the reasons in its errors."""
