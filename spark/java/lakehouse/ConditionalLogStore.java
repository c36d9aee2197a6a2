package lakehouse;

import io.delta.storage.HadoopFileSystemLogStore;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.util.Arrays;
import java.util.Iterator;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FSDataOutputStreamBuilder;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Options.CreateFileOptionKeys;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.s3a.RemoteFileChangedException;

/**
 * Atomic Delta commits on S3: a commit is put only if none of its number exists (If-None-Match: *).
 *
 * <p>Delta's own store for S3 first checks for the file and then puts it, which protects only the writers of one driver
 * from each other. With this store, delta-rs (which puts in the same way) and a second driver may write the same table
 * (docs/decisions/0007).
 */
public class ConditionalLogStore extends HadoopFileSystemLogStore {

    public ConditionalLogStore(Configuration configuration) {
        super(configuration);
    }

    /**
     * Writes a file atomically.
     *
     * @throws FileAlreadyExistsException if the file exists and may not be overwritten
     */
    @Override
    public void write(Path path, Iterator<String> lines, Boolean overwrite, Configuration configuration)
            throws IOException {
        ByteArrayOutputStream content = new ByteArrayOutputStream();
        while (lines.hasNext()) {
            content.writeBytes((lines.next() + "\n").getBytes(StandardCharsets.UTF_8));
        }
        FileSystem files = path.getFileSystem(configuration);
        try (FSDataOutputStream stream = overwrite ? files.create(path, true) : createIfAbsent(files, path)) {
            content.writeTo(stream);
        } catch (RemoteFileChangedException refused) {
            // The client repeats a request whose answer was lost: then the existing file is the one just written.
            if (!Arrays.equals(content.toByteArray(), bytesOf(files, path))) {
                throw new FileAlreadyExistsException(path.toString());
            }
        }
    }

    @Override
    public Boolean isPartialWriteVisible(Path path, Configuration configuration) {
        return false;
    }

    /** With "must", a file system that does not support the condition refuses the file instead of overwriting it. */
    private static FSDataOutputStream createIfAbsent(FileSystem files, Path path) throws IOException {
        FSDataOutputStreamBuilder<?, ?> builder = files.createFile(path).recursive().overwrite(true);
        builder.must(CreateFileOptionKeys.FS_OPTION_CREATE_CONDITIONAL_OVERWRITE, true);
        return builder.build();
    }

    private static byte[] bytesOf(FileSystem files, Path path) throws IOException {
        try (InputStream stream = files.open(path)) {
            return stream.readAllBytes();
        }
    }
}
