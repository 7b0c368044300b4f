using System.Diagnostics.Tracing;

namespace Moshpit.Tests.Fuzz;

/// <summary>Hears of every array that this thread rents from the shared pool and returns to it.</summary>
internal sealed class RentedArrays : EventListener
{
    private const int BufferRented = 1;
    private const int BufferReturned = 3;

    // Set by the base's constructor already, by way of OnEventSourceCreated.
    private readonly int _thread = Environment.CurrentManagedThreadId;
    private readonly Dictionary<int, int> _rented = [];
    private bool _listening;

    /// <summary>Runs something. Throws if an array that it rented is still out afterwards, or was returned twice.</summary>
    public void RequireReturned(Action action)
    {
        // Once may be something that the runtime keeps from its first use on.
        int balance = BalanceOf(action);
        if (balance != 0)
            balance = BalanceOf(action);
        if (balance > 0)
            throw new FuzzException("An array was rented and not returned.");
        if (balance < 0)
            throw new FuzzException("An array was returned that was not rented.");
    }

    private int BalanceOf(Action action)
    {
        _rented.Clear();
        _listening = true;
        try
        {
            action();
        }
        finally
        {
            _listening = false;
        }

        return _rented.Values.FirstOrDefault(balance => balance != 0);
    }

    protected override void OnEventSourceCreated(EventSource eventSource)
    {
        if (eventSource.Name == "System.Buffers.ArrayPoolEventSource")
            EnableEvents(eventSource, EventLevel.Verbose);
    }

    protected override void OnEventWritten(EventWrittenEventArgs eventData)
    {
        if (!_listening || Environment.CurrentManagedThreadId != _thread || eventData.EventId is not (BufferRented or BufferReturned))
            return;
        int id = (int)eventData.Payload![0]!;
        _rented[id] = _rented.GetValueOrDefault(id) + (eventData.EventId == BufferRented ? 1 : -1);
    }
}
