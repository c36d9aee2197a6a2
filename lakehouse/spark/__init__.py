"""The Spark that the steps run on: its session, its jars, the JDK, and what its errors mean."""
