using System.Buffers;
using System.IO.Pipelines;
using Microsoft.Extensions.ObjectPool;
using Moshpit.Server.Http;
using Moshpit.Server.Transport;

namespace Moshpit.Server.Api;

/// <summary>What a connection needs while it carries requests, and gives back to a pool when it ends or becomes a stream.</summary>
internal sealed class RequestState
{
    /// <summary>Most requests fit; a connection holds so much while it waits for its next one.</summary>
    private const int SegmentLength = 2048;

    private RequestState(RequestLimits limits) => Parser = new RequestParser(limits);

    /// <summary>Bytes received and not yet parsed. Filled and emptied by the connection alone, so without thresholds nothing ever waits.</summary>
    public Pipe Input { get; } = new(new PipeOptions(
        pauseWriterThreshold: 0, resumeWriterThreshold: 0, readerScheduler: PipeScheduler.Inline, writerScheduler: PipeScheduler.Inline,
        minimumSegmentSize: SegmentLength, useSynchronizationContext: false));

    /// <summary>Responses not yet sent: those of pipelined requests go out together.</summary>
    public ArrayBufferWriter<byte> Output { get; } = new(512);

    public RequestParser Parser { get; }

    public HttpRequest Request { get; } = new();

    public BodyReader Body { get; } = new();

    public Receiver Receiver { get; } = new();

    /// <summary>Makes them and has them ready for the next connection.</summary>
    internal sealed class Policy(RequestLimits limits) : IPooledObjectPolicy<RequestState>
    {
        /// <summary>An output that had to hold more than this is not kept.</summary>
        private const int MaxRetainedOutput = 8 * 1024;

        public RequestState Create() => new(limits);

        public bool Return(RequestState state)
        {
            state.Body.Release();
            if (state.Receiver.Abandoned)
                return false;
            state.Input.Writer.Complete();
            state.Input.Reader.Complete();
            if (state.Output.Capacity > MaxRetainedOutput)
                return false;
            state.Input.Reset();
            state.Output.ResetWrittenCount();
            state.Parser.Reset();
            state.Request.Reset();
            return true;
        }
    }
}
