package lakehouse;

import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.connect.service.SparkConnectService$;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Spark's own SparkConnectServer, except for one setting that cannot be changed there: a session here has no artifacts
 * (jars, files, Python modules) of its own.
 *
 * <p>With them, every session gets its own Python daemon and workers in each executor. The workers end a minute after
 * their last task, the daemons never: after hundreds of short sessions (each task of Airflow is one) an executor is
 * killed for its memory. No client sends artifacts to this server, since the workers' image contains what they need.
 */
public final class ConnectServer {
    private static final Logger LOG = LoggerFactory.getLogger(ConnectServer.class);

    private ConnectServer() {}

    public static void main(String[] arguments) throws InterruptedException {
        SparkSession session = SparkSession.builder().config("spark.sql.artifact.isolation.enabled", false).getOrCreate();
        SparkConnectService$.MODULE$.start(session.sparkContext());
        LOG.info("The Connect server answers at {}", SparkConnectService$.MODULE$.bindingAddress());
        SparkConnectService$.MODULE$.server().awaitTermination();
    }
}
