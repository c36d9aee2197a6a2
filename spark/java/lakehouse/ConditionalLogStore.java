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
 * Delta's commits on S3, atomic: a commit is put on the condition that there is none of its number (If-None-Match: *).
 *
 * <p>Delta's own store for S3 looks whether the file is there and then puts it, which only keeps the writers of one
 * driver apart. With this one delta-rs, which puts in the same way, and a second driver may write the same table
 * (docs/decisions/0007).
 */
public class ConditionalLogStore extends HadoopFileSystemLogStore {

    public ConditionalLogStore(Configuration configuration) {
        super(configuration);
    }

    /**
     * Writes a file as a whole or not at all.
     *
     * @throws FileAlreadyExistsException if the file is there and may not be overwritten
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
            // The client repeats a request whose answer was lost: then the file that is in the way is our own.
            if (!Arrays.equals(content.toByteArray(), bytesOf(files, path))) {
                throw new FileAlreadyExistsException(path.toString());
            }
        }
    }

    @Override
    public Boolean isPartialWriteVisible(Path path, Configuration configuration) {
        return false;
    }

    /** "must": a file system that cannot do it refuses, instead of overwriting. */
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
