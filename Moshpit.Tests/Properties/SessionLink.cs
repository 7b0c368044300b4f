using Moshpit.Tests.Support;

namespace Moshpit.Tests.Properties;

/// <summary>A stream as the server writes it, beside what a model says of it.</summary>
internal sealed class SessionLink(RawConnection connection, ModelStream stream)
{
    private readonly Queue<string?> _ids = [];
    private long _highest;

    public RawConnection Connection => connection;

    public ModelStream Stream => stream;

    /// <summary>Up to <paramref name="count"/> ids of events that came and that no client has had.</summary>
    public IEnumerable<string?> Take(int count)
    {
        while (count-- > 0 && _ids.TryDequeue(out string? id))
            yield return id;
    }

    /// <summary>Events that came and that no client has had.</summary>
    public int Waiting => _ids.Count;

    /// <summary>Reads all that the model says, and nothing else.</summary>
    /// <param name="read">Has the text of an event as a model writes it.</param>
    public async Task ReadAsync(Func<SessionLink, SessionEvent, string> read)
    {
        while (stream.Next is not null)
            Accept(await NextAsync(), read);
        if (stream.HasEnded)
            Any.RequireSame((await connection.ReadToEndAsync()).Replace(":\n\n", ""), "");
    }

    private void Accept(SessionEvent next, Func<SessionLink, SessionEvent, string> read)
    {
        string text = read(this, next);
        if (next.Name == "gap")
        {
            Any.RequireSame(stream.TryTakeGap(next.Sequence), true);
            Any.RequireSame(next.Id, $"{next.Sequence}.0");
        }
        else
        {
            ModelItem item = stream.Next!;
            stream.RemoveNext();
            Any.RequireSame(text, item.Text);
            if (item.Event is { Seq: 0 } told && item.Id.Contains("{0}"))
                told.Seq = next.Sequence;
            long? seq = (item.Event ?? stream.Written)?.Seq;
            Any.RequireSame(next.Id ?? "", string.Format(System.Globalization.CultureInfo.InvariantCulture, item.Id, seq));
        }

        if (next.Name != "bye" && next.Id is not null)
        {
            // The connect of a resume has the id that the client sent, so only what follows must be higher.
            if (next.Name != "connect" && next.Sequence <= _highest)
                throw new Fuzz.FuzzException($"{next} has no higher id than {_highest}.");
            _highest = next.Sequence;
        }

        _ids.Enqueue(next.Id);
    }

    private async Task<SessionEvent> NextAsync()
    {
        string text;
        do
            text = await connection.ReadUntilAsync("\n\n");
        while (text.StartsWith(':'));
        return SessionEvent.Parse(text);
    }
}
