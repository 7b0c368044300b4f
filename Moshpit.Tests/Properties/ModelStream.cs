namespace Moshpit.Tests.Properties;

/// <summary>
/// An event of a stream. In its <paramref name="Id"/>, {0} stands for the number of <paramref name="Event"/>, or of the last one that came.
/// </summary>
internal sealed record ModelItem(string Text, ModelEvent? Event, string Id)
{
    public ModelItem(string text, ModelEvent happened)
        : this(text, happened, happened.Id)
    {
    }

    /// <summary>It was missed, so a gap may stand for it, unless it was kept.</summary>
    public bool IsMissed { get; init; }

    public bool IsKept { get; init; }

    /// <summary>The peer sent it and wanted no echo: it is not told, and whether a gap stands for it is not known.</summary>
    public bool IsUntold { get; init; }
}

/// <summary>What is told on one stream.</summary>
internal sealed class ModelStream(ModelPeer peer, ModelEvent? after)
{
    private readonly List<ModelItem> _items = [];

    public ModelPeer Peer => peer;

    /// <summary>The last event that its client has had; null: there is none that is usable.</summary>
    public ModelEvent? After { get; } = after;

    /// <summary>The last event that came on this stream.</summary>
    public ModelEvent? Written { get; private set; } = after;

    public bool HasEnded { get; private set; }

    /// <summary>The next event that must come, or null.</summary>
    public ModelItem? Next => _items.Find(item => !item.IsUntold);

    /// <summary>Adds the first events.</summary>
    public void Begin(string connect)
    {
        Add(new ModelItem(connect, After, peer.Secret is null ? "" : After is null ? "0.0" : "{0}.0"));
        if (peer.Secret is not null && After is null)
            Add(new ModelItem("gap", peer.Joined));
    }

    public void Add(ModelItem item) => _items.Add(item);

    public void End(string reason)
    {
        string id = reason switch { "replaced" => "-{0}.0", "stopping" => "{0}.0", _ => "-1" };
        if (peer.Secret is not null)
            Add(new ModelItem($"bye {reason}", null, id));
        HasEnded = true;
        peer.Stream = null;
    }

    /// <summary>Removes the next event, which came.</summary>
    public void RemoveNext()
    {
        int next = _items.IndexOf(Next!);
        Written = _items[next].Event ?? Written;
        _items.RemoveRange(0, next + 1);
    }

    /// <summary>
    /// A gap up to the event with the number <paramref name="seq"/> came. False: it must not. What it stands for is not expected any more.
    /// </summary>
    public bool TryTakeGap(long seq)
    {
        bool isRequired = Next?.Text == "gap";
        if (isRequired)
            RemoveNext();
        ModelItem[] lost = [.. _items.TakeWhile(item => item.IsMissed && item.Event!.Seq <= seq)];
        if (lost.Length == 0)
        {
            peer.Joined.Seq = peer.Joined.Seq == 0 ? seq : peer.Joined.Seq;
            return isRequired && seq == peer.Joined.Seq;
        }

        _items.RemoveRange(0, lost.Length);
        Written = lost[^1].Event;
        return seq == Written!.Seq && !lost.Any(item => item.IsKept);
    }
}
