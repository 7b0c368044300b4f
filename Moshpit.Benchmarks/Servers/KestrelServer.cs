using System.Buffers;
using System.Collections.Concurrent;
using System.IO.Pipelines;
using System.Net;
using System.Net.ServerSentEvents;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Moshpit.Benchmarks.Servers;

/// <summary>
/// Server-sent events as ASP.NET Core offers them, done well: no middleware, no logging, each message encoded once and shared by all
/// subscribers, an unbounded queue with one reader for each. <c>GET /channel</c> subscribes, <c>POST /channel</c> publishes its body.
/// </summary>
internal sealed class KestrelServer : IServer
{
    private const string MessageEvent = "signal";
    private const string FirstEvent = "connect";

    private static readonly byte[] Ok = "OK"u8.ToArray();

    private readonly ConcurrentDictionary<string, KestrelChannel> _channels = new();
    private WebApplication? _application;

    public async Task<int> StartAsync(int port)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(options => options.Listen(IPAddress.Loopback, port));
        _application = builder.Build();
        _application.MapGet("/{channel}", Subscribe);
        _application.MapPost("/{channel}", PublishAsync);
        await _application.StartAsync().ConfigureAwait(false);
        return new Uri(_application.Urls.First()).Port;
    }

    public async ValueTask DisposeAsync()
    {
        if (_application is not null)
            await _application.DisposeAsync().ConfigureAwait(false);
    }

    private IResult Subscribe(string channel, HttpContext context)
    {
        KestrelChannel found = _channels.GetOrAdd(channel, _ => new KestrelChannel());
        var subscriber = new KestrelSubscriber(found);
        context.Response.RegisterForDispose(subscriber);
        subscriber.Queue.Writer.TryWrite(new SseItem<byte[]>("{}"u8.ToArray(), FirstEvent));
        found.Add(subscriber);
        return TypedResults.ServerSentEvents(subscriber.Queue.Reader.ReadAllAsync(context.RequestAborted));
    }

    private async Task PublishAsync(HttpContext context)
    {
        PipeReader reader = context.Request.BodyReader;
        ReadResult result = await reader.ReadAsync().ConfigureAwait(false);
        while (!result.IsCompleted)
        {
            reader.AdvanceTo(result.Buffer.Start, result.Buffer.End);
            result = await reader.ReadAsync().ConfigureAwait(false);
        }

        if (_channels.TryGetValue((string)context.Request.RouteValues["channel"]!, out KestrelChannel? channel))
            channel.Publish(new SseItem<byte[]>(result.Buffer.ToArray(), MessageEvent));
        reader.AdvanceTo(result.Buffer.End);
        context.Response.ContentType = "text/plain; charset=utf-8";
        context.Response.ContentLength = Ok.Length;
        await context.Response.BodyWriter.WriteAsync(Ok).ConfigureAwait(false);
    }
}
