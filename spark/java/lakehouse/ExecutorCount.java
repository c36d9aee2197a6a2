package lakehouse;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.spark.SparkConf;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerExecutorAdded;
import org.apache.spark.scheduler.SparkListenerExecutorRemoved;

/**
 * Tells everyone who connects to its port how many executors the driver has: a number and a newline.
 *
 * <p>Without an executor, Spark lets every job wait and reports nothing to the client. The health check (spark/healthy)
 * and the pipeline's watch over its own work (lakehouse/spark/watch.py) ask here.
 */
public final class ExecutorCount extends SparkListener {
    public static final int PORT = 15003;
    private static final int BACKLOG = 16;

    private final Set<String> executors = ConcurrentHashMap.newKeySet();

    /**
     * Spark creates it with the context (spark.extraListeners), before there is an executor. It listens where the
     * Connect server does.
     */
    public ExecutorCount(SparkConf conf) throws IOException {
        InetAddress address = InetAddress.getByName(conf.get("spark.connect.grpc.binding.address", "0.0.0.0"));
        ServerSocket server = new ServerSocket(PORT, BACKLOG, address);
        Thread thread = new Thread(() -> answer(server), "executor-count");
        thread.setDaemon(true);
        thread.start();
    }

    @Override
    public void onExecutorAdded(SparkListenerExecutorAdded event) {
        executors.add(event.executorId());
    }

    @Override
    public void onExecutorRemoved(SparkListenerExecutorRemoved event) {
        executors.remove(event.executorId());
    }

    private void answer(ServerSocket server) {
        while (true) {
            try (Socket reader = server.accept()) {
                reader.getOutputStream().write((executors.size() + "\n").getBytes(StandardCharsets.US_ASCII));
            } catch (IOException gone) {
                // The reader went away; the next one gets its answer.
            }
        }
    }
}
