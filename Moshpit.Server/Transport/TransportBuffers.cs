using System.Buffers;
using System.IO.Pipelines;
using Microsoft.Extensions.ObjectPool;

namespace Moshpit.Server.Transport;

/// <summary>What a <see cref="RequestConnection"/> reads into and writes from while it has requests, pooled.</summary>
internal sealed class TransportBuffers
{
    /// <summary>
    /// Most requests fit; a connection that sends them in quick succession holds so much while it waits for its next one.
    /// </summary>
    private const int SegmentLength = 2048;

    /// <summary>
    /// Bytes received and not yet read. Filled and emptied by the connection's one loop, so without thresholds nothing ever waits.
    /// </summary>
    public Pipe Input { get; } = new(new PipeOptions(
        pauseWriterThreshold: 0, resumeWriterThreshold: 0, readerScheduler: PipeScheduler.Inline, writerScheduler: PipeScheduler.Inline,
        minimumSegmentSize: SegmentLength, useSynchronizationContext: false));

    /// <summary>Bytes not yet sent: responses to pipelined requests go out together.</summary>
    public ArrayBufferWriter<byte> Output { get; } = new(512);

    /// <summary>Makes them and has them ready for the next connection.</summary>
    internal sealed class Policy : IPooledObjectPolicy<TransportBuffers>
    {
        /// <summary>An output that had to hold more than this is not kept.</summary>
        private const int MaxRetainedOutput = 32 * 1024;

        public TransportBuffers Create() => new();

        public bool Return(TransportBuffers buffers)
        {
            buffers.Input.Writer.Complete();
            buffers.Input.Reader.Complete();
            if (buffers.Output.Capacity > MaxRetainedOutput)
                return false;
            buffers.Input.Reset();
            buffers.Output.ResetWrittenCount();
            return true;
        }
    }
}
