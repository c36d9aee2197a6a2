package lakehouse;

import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.connect.service.SparkConnectService$;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Spark's own SparkConnectServer, but for one setting, which that one does not let anybody change: a session here has no
 * artifacts (jars, files, Python modules) of its own.
 *
 * <p>With them, every session gets a Python daemon and workers of its own in each executor. The workers end a minute after
 * their last task, the daemons never: an executor in which hundreds of short sessions come and go (a task of Airflow is one)
 * is killed for its memory. Nobody sends artifacts to this server: what workers need is in their image.
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
