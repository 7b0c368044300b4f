using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Moshpit.Tests.Support;

/// <summary>
/// Keeps what the server holds to be its own fault, which nothing that a client does may lead to; or whatever is at least as grave as
/// asked.
/// </summary>
internal sealed class ErrorLog(LogLevel least = LogLevel.Error) : ILoggerFactory, ILogger
{
    private readonly ConcurrentQueue<string> _lines = new();

    /// <summary>Called for each event of any level, on the thread that passes the log on.</summary>
    public Action<int>? Heard { get; init; }

    public IReadOnlyCollection<string> Lines => _lines;

    public ILogger CreateLogger(string categoryName) => this;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= least || Heard is not null;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        Heard?.Invoke(eventId.Id);
        if (logLevel >= least)
            _lines.Enqueue($"{eventId.Id} {formatter(state, exception)} {exception}");
    }

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public void AddProvider(ILoggerProvider provider)
    {
    }

    public void Dispose()
    {
    }
}
